-- Acquires a new contact with each request, as one of a few agents.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("KEY")
local agents = tonumber(os.getenv("AGENTS"))
local run = os.getenv("RUN")
local count = 0

function request()
  count = count + 1
  return wrk.format(nil, wrk.path, nil, string.format(
    '{"tenantId":"default","agentName":"agent-%d","contactEmail":"user%s-%d@example.com",' ..
    '"intent":"outbound_sales","durationMinutes":30}', count % agents, run, count))
end
