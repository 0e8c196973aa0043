-- Posts a body in which %d is a number that no other request of the run has, and %i fifteen letters that no other request has.
-- Argument: the template of the body.
local counter = 0
local template
local run = string.format("%08x", os.time())

function init(arguments)
  template = arguments[1]
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  counter = counter + 1
  local body = template:gsub("%%d", tostring(counter)):gsub("%%i", run .. string.format("%07d", counter))
  return wrk.format(nil, nil, nil, body)
end
