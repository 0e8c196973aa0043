-- Four gets of paths from a file, then one post of a body in which %d is a number that no other request of the run has.
-- Arguments: the file with a path in each line, the path to post to, the template of the body.
local paths = {}
local counter = 0
local path
local template
local headers = { ["Content-Type"] = "application/json" }

function init(arguments)
  for line in io.lines(arguments[1]) do
    paths[#paths + 1] = line
  end
  path = arguments[2]
  template = arguments[3]
  for name, value in pairs(wrk.headers) do
    headers[name] = value
  end
end

function request()
  counter = counter + 1
  if counter % 5 == 0 then
    return wrk.format("POST", path, headers, (template:gsub("%%d", tostring(counter))))
  end
  return wrk.format("GET", paths[counter % #paths + 1])
end
