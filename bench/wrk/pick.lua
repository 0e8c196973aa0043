-- Gets one path after the other from a file, over and over.
-- Argument: the file, a path in each line.
local paths = {}
local counter = 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    paths[#paths + 1] = line
  end
end

function request()
  counter = counter % #paths + 1
  return wrk.format("GET", paths[counter])
end
