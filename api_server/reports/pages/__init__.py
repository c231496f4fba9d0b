"""The pages of reports. They ask the API of this server, as their reader, and need no script."""
