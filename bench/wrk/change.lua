-- Changes one row after the other: a body in which %i is what no other request has, sent to paths from a file.
-- Arguments: the method, the file with a path in each line, the template of the body.
local paths = {}
local counter = 0
local method
local template
local run = string.format("%08x", os.time())

function init(arguments)
  method = arguments[1]
  template = arguments[3]
  for line in io.lines(arguments[2]) do
    paths[#paths + 1] = line
  end
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  counter = counter + 1
  local body = template:gsub("%%i", run .. string.format("%07d", counter))
  return wrk.format(method, paths[counter % #paths + 1], nil, body)
end
