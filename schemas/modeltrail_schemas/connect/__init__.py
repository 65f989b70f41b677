"""How both sides reach Kafka: one configuration must connect emitter and collector alike.

`settings` knows the names of librdkafka, Java and kafka-python, `tokens` gets OAuth tokens, and `client` is
kafka-python's network client, made to say why it cannot connect. Nothing here is loaded before it is needed.
"""
