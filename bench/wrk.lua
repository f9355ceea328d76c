-- SPDX-License-Identifier: Apache-2.0
-- Prints what wrk measured as one JSON object; measures.py reads it.
done = function(summary, latency)
   local e = summary.errors
   io.write(string.format(
      '{"requests": %d, "us": %d, "p50_us": %d, "p99_us": %d, "errors": %d}\n',
      summary.requests, summary.duration,
      latency:percentile(50), latency:percentile(99),
      e.connect + e.read + e.write + e.status + e.timeout))
end
