-- Sends a message of SIZE bytes to the next agent with each request, as one of a few agents.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local agents = tonumber(os.getenv("AGENTS"))
local prefix = os.getenv("PREFIX")
local domain = os.getenv("DOMAIN")
local size = tonumber(os.getenv("SIZE"))
local text = ("All work on this contact is done. "):rep(math.ceil(size / 34)):sub(1, size)
local headers = {}
for key in os.getenv("KEYS"):gmatch("%S+") do
  headers[#headers + 1] = {["Authorization"] = "Bearer " .. key,
                           ["Content-Type"] = "application/json"}
end
local count = 0

function request()
  count = count + 1
  local sender = count % agents
  return wrk.format(nil, wrk.path, headers[count % #headers + 1], string.format(
    '{"agent_name":"%s-%d","to":["%s-%d@%s"],"subject":"TASK:%d result","body_text":"%s"}',
    prefix, sender, prefix, (sender + 1) % agents, domain, count, text))
end
