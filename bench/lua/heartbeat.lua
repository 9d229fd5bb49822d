-- Sends one heartbeat of each agent in turn.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("KEY")
local agents = tonumber(os.getenv("AGENTS"))
local count = 0

function request()
  count = count + 1
  return wrk.format(nil, wrk.path, nil, string.format(
    '{"tenantId":"default","agentName":"agent-%d"}', count % agents))
end
