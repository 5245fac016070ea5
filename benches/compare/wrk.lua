-- The load: one order, always the same bytes; the outcome is told as JSON on the last line.
--
--     wrk -s wrk.lua URL -- BODY_FILE TOKEN_FILE
--
-- With more than one token in the file, one a line, each request is another client's.

local requests, turn = {}, 0

local function lines(path)
    local found = {}
    for line in io.lines(path) do
        found[#found + 1] = line
    end
    return found
end

function init(args)
    wrk.method = "POST"
    wrk.path = "/v1/order/new"
    wrk.body = assert(io.open(args[1], "rb")):read("*a")
    wrk.headers["Content-Type"] = "application/json"
    local tokens = lines(args[2])
    for index, token in ipairs(tokens) do
        wrk.headers["Authorization"] = "Bearer " .. token
        if #tokens > 1 then
            -- As many different strings, whether they are one client's or ten thousand's: Lua keeps equal ones once.
            wrk.headers["X-Turn"] = string.format("%05d", index)
        end
        requests[index] = wrk.format()
    end
    if #requests > 1 then
        request = function()
            turn = turn % #requests + 1
            return requests[turn]
        end
    end
end

function done(summary, latency, _)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    print(string.format(
        '{"requests": %d, "micros": %d, "failed": %d, "p50": %d, "p99": %d}',
        summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)
    ))
end
