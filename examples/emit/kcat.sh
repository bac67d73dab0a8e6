#!/bin/sh
# Sends a usage with kcat, once as a structured CloudEvent and once in binary mode: KAFKA_BROKERS=127.0.0.1:9092 examples/emit/kcat.sh
set -eu
id="${1:-kcat-$(date +%s)}"
brokers="${KAFKA_BROKERS:-127.0.0.1:9092}"
# The partitioner of Java's clients, so that an account's facts keep their order whoever sends them.
send() { kcat -P -b "$brokers" -X partitioner=murmur2_random -t usage.reported -k default.demo "$@"; }

echo '{"specversion":"1.0","type":"llm.completion","source":"my-api","id":"'"$id"'-structured","subject":"demo","time":"2026-03-01T09:30:00Z","data":{"model":"gpt-4o","input_tokens":812,"output_tokens":204}}' |
  send -H 'content-type=application/cloudevents+json'

echo '{"model":"gpt-4o","input_tokens":812,"output_tokens":204}' |
  send -H 'content-type=application/json' -H ce_specversion=1.0 -H ce_type=llm.completion -H ce_source=my-api \
    -H "ce_id=$id-binary" -H ce_subject=demo -H ce_time=2026-03-01T09:30:00Z
