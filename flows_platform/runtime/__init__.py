"""What any process needs: locks, atomic files, deadlines, retries, optional packages. Knows no records."""
