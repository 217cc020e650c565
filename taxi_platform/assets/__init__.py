"""What is produced. A few lines an asset: the partition in, a pure call, a value out, no I/O."""
