-- Posts a body in which %d is a number that no other request has.
-- Argument: the template of the body.
local counter = 0
local template

function init(arguments)
  template = arguments[1]
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  counter = counter + 1
  return wrk.format(nil, nil, nil, (template:gsub("%%d", tostring(counter))))
end
