"""The local stack: a real Kafka, the line's processes and their supervisor."""
