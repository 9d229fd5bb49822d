-- Claims a task and completes it, as one of a few agents; each pair is two requests.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("KEY")
local agent = "agent-0"
local claimed = {}

function request()
  local task = table.remove(claimed)
  if task == nil then
    return wrk.format(nil, "/v1/tasks/claim", nil, string.format('{"agent_name":"%s"}', agent))
  end
  return wrk.format(nil, "/v1/tasks/" .. task[1] .. "/complete", nil, string.format(
    '{"agent_name":"%s","fence":%s,"text":"sorted"}', agent, task[2]))
end

function response(status, headers, body)
  local id, fence = body:match('"task":{"task_id":"([^"]+)","fence":(%d+)')
  if id ~= nil then table.insert(claimed, {id, fence}) end
end
