-- Hands over a task with each request, as one of a few agents.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("KEY")
local agents = tonumber(os.getenv("AGENTS"))
local count = 0

function request()
  count = count + 1
  return wrk.format(nil, wrk.path, nil, string.format(
    '{"agent_name":"agent-%d","task":"Sort the mail","nonblocking":true,"timeout_seconds":86400}',
    count % agents))
end
