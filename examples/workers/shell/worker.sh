#!/usr/bin/env bash
# A remote worker in shell: curl and jq against the JSON gateway. It counts lines, words and bytes of the text in a job's
# input: ./worker.sh [--url http://127.0.0.1:7080] [--topic text-statistics] [--once N]
set -euo pipefail

url=${BLOGE_HTTP:-http://127.0.0.1:7080} topic=text-statistics jobs_left=-1 worker="shell-$HOSTNAME-$$-$RANDOM"
while (($#)); do
  case $1 in
    --url) url=$2 ;;
    --topic) topic=$2 ;;
    --once) jobs_left=$2 ;;
    *) echo "unknown flag $1" >&2; exit 2 ;;
  esac
  shift 2
done

# Sends JSON to a path below /remote-workers; prints the answer, fails with the server's own words otherwise.
send() {
  curl --silent --show-error --fail-with-body --header 'Content-Type: application/json' \
    --data "$2" "$url/api/v1/remote-workers/$1"
}

# Extends the lease until it is killed, and says so if the lease is over: the job then belongs to somebody else.
keep() {
  while sleep 5 >&- 2>&-; do
    send "items/$id/heartbeat" "$(jq -n --arg token "$token" '{leaseToken: $token, leaseDuration: "PT30S"}')" >/dev/null \
      || { echo "lost the lease of $id" >&2; return; }
  done
}

# The work itself: the input's text on standard input, a JSON value on standard output, an error on standard error.
work() {
  local text; text=$(mktemp); cat >"$text"
  jq -n --argjson lines "$(wc -l <"$text")" --argjson words "$(wc -w <"$text")" --argjson bytes "$(wc -c <"$text")" \
    '{lines: $lines, words: $words, bytes: $bytes}'
  rm -f "$text"
}

report() {
  local job=$1 output keeper problem; problem=$(mktemp)
  id=$(jq -r .itemId <<<"$job") token=$(jq -r .claimToken <<<"$job")
  local lease; lease=$(jq '{leaseToken: .claimToken, expectedRevision: .revision}' <<<"$job")
  keep & keeper=$!
  # A graph's node sends an envelope with an input; other producers send the input itself.
  if output=$(jq -ej '(if has("operatorRef") then .input else . end).text | strings' \
      <<<"$(jq .envelope <<<"$job")" 2>"$problem" | work 2>>"$problem"); then
    send "items/$id/complete" "$(jq --argjson output "$output" '. + {output: $output}' <<<"$lease")" >&2 || true
    echo "completed $id"
  else
    send "items/$id/fail" "$(jq --rawfile told "$problem" \
      '. + {errorType: "BadInput", error: ("the input has no text. " + $told), nonRetryable: true}' <<<"$lease")" >&2 || true
    echo "failed $id"
  fi
  kill "$keeper" 2>/dev/null || true
  wait "$keeper" 2>/dev/null || true
  rm -f "$problem"
}

leaving=; trap 'leaving=yes' TERM INT
send register "$(jq -n --arg w "$worker" --arg t "$topic" '{workerId: $w, workerTopic: $t}')" >/dev/null
while [[ -z $leaving && $jobs_left != 0 ]]; do
  poll=$(jq -n --arg w "$worker" '{workerId: $w, limit: 1, leaseDuration: "PT30S", waitTimeout: "PT2S"}')
  if ! answer=$(send "$topic/poll" "$poll"); then echo "no answer, trying again: $answer" >&2; sleep 1; continue; fi
  job=$(jq -c '.[0] // empty' <<<"$answer")
  if [[ -n $job ]]; then report "$job"; jobs_left=$((jobs_left - 1)); fi
done
