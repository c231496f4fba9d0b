# The tutorial's cleaning: clean.sh RAW.gz CLEAN
gunzip -c "$1" | awk -F, 'NF==9' | awk '{print NR "," $0}' > "$2"
