-- The equivalent in etcd: grant a lease, then create a key with it if the key does not exist. More
-- requests than connections separate the two, so the grant is always complete.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local lag = 4 * tonumber(os.getenv("CONNECTIONS"))
local count = 0

local function encode(text)
  local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for shift = 18, 0, -6 do
      local d = math.floor(n / 2 ^ shift) % 64
      out[#out + 1] = digits:sub(d + 1, d + 1)
    end
    if not b then out[#out - 1] = "=" end
    if not c then out[#out] = "=" end
  end
  return table.concat(out)
end

function request()
  count = count + 1
  local id = math.floor((count + 1) / 2)
  if count % 2 == 1 or id <= lag then
    if count % 2 == 0 then id = 1000000000 + id end
    return wrk.format(nil, "/v3/lease/grant", nil, string.format('{"TTL":"1800","ID":"%d"}', id))
  end
  local lease = id - lag
  local key = encode("user" .. lease .. "@example.com")
  return wrk.format(nil, "/v3/kv/txn", nil, string.format(
    '{"compare":[{"key":"%s","target":"CREATE","createRevision":"0"}],' ..
    '"success":[{"requestPut":{"key":"%s","value":"%s","lease":"%d"}}]}',
    key, key, encode("agent-1 outbound_sales"), lease))
end
