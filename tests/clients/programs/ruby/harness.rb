# What the programs share: the URL of Redis, and their output, which the test compares.
URL = ARGV[0]

$stdout.sync = true

def step(what, result)
  puts "step #{what} => #{result.inspect}"
end

# Has the test kill and start again "redis" or "redoubt"; without Redoubt, Redis in both cases.
def restart(which)
  puts "restart #{which}"
  raise 'no answer' unless $stdin.gets == "restarted\n"
end

# Repeats the block until it gives what is wanted, also if it fails meanwhile; returns what it gave last.
def eventually(wanted)
  ends = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 60
  loop do
    begin
      found = yield
    rescue StandardError => e
      found = "#{e.class}: #{e.message}"
    end
    return found if found == wanted || Process.clock_gettime(Process::CLOCK_MONOTONIC) > ends

    sleep 0.05
  end
end
