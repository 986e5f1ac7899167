-- wrk: POST the file named by the first argument; print what was measured as one line of JSON.
function init(args)
   local file = assert(io.open(args[1], "rb"))
   wrk.method = "POST"
   wrk.body = file:read("*a")
   wrk.headers["Content-Type"] = "application/json"
   file:close()
end

function done(summary, latency, requests)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   print(string.format('{"requests": %d, "microseconds": %d, "failed": %d, "p50": %.1f, "p99": %.1f}',
      summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
