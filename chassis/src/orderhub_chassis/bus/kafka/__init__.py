"""The Kafka adapter: one Kafka record per message, its attributes as headers, partitions as topics.py says.

`cluster` is where and how, `attributes` and `records` the form of a record, `producer` the relay's side, `member` a
consumer's, `catalogue` makes and checks the topics, `bus` puts them together.
"""
