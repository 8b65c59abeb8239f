package ephemeral

import "github.com/redis/go-redis/v9"

// The steps that take more than one command. Redis runs a script alone, so
// nothing can come between its reading and its writing. Each touches KEYS[1]
// and nothing else: that is what a cluster asks for, and a test holds it.

// codeFields are the fields of a code's hash, in the order the scripts use.
var codeFields = []string{"id", "ref", "digest", "tries", "issued", "expires", "used"}

// ARGV: 1 there is an old value, the old value, 1 there is a next one, the
// next one, its ttl in milliseconds.
var swapScript = redis.NewScript(`
local have = redis.call('GET', KEYS[1])
if ARGV[1] == '1' then
  if have ~= ARGV[2] then return 0 end
elseif have then
  return 0
end
if ARGV[3] == '1' then
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
elseif have then
  redis.call('DEL', KEYS[1])
end
return 1
`)

// ARGV: the ttl in milliseconds, then names and values of all fields. Returns
// the fields of the code that was there.
var armScript = redis.NewScript(`
local before = redis.call('HMGET', KEYS[1], 'id', 'ref', 'digest', 'tries', 'issued', 'expires', 'used')
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return before
`)

// ARGV: the id.
var disarmScript = redis.NewScript(`
local have = redis.call('HMGET', KEYS[1], 'id', 'used')
if have[1] ~= ARGV[1] or have[2] == '1' then return 0 end
return redis.call('DEL', KEYS[1])
`)

// ARGV: the digest of the guess, the caller's time in milliseconds. The try is
// taken before the digests are compared. They are keyed digests, so the time
// that the comparison takes tells a guesser nothing.
var consumeScript = redis.NewScript(`
local c = redis.call('HMGET', KEYS[1], 'id', 'ref', 'digest', 'tries', 'issued', 'expires', 'used')
if not c[1] then return {'none'} end
local late = tonumber(ARGV[2]) > tonumber(c[6])
local function say(outcome, left) return {outcome, c[1], c[2], c[5], left} end
if c[7] == '1' then
  if late then return {'none'} end
  if c[3] == ARGV[1] then return say('used', 0) end
  return say('wrong', 0)
end
if late then return say('expired', 0) end
if tonumber(c[4]) < 1 then return say('spent', 0) end
local left = redis.call('HINCRBY', KEYS[1], 'tries', -1)
if c[3] ~= ARGV[1] then return say('wrong', left) end
redis.call('HSET', KEYS[1], 'used', '1')
return say('right', 0)
`)

// ARGV: step and depth of the rate in microseconds; see pace.take. A number
// this large must be written with a format: Lua prints it as 1.79e+15 and the
// microseconds are gone.
var allowScript = redis.NewScript(`
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local step, depth = tonumber(ARGV[1]), tonumber(ARGV[2])
local due = tonumber(redis.call('GET', KEYS[1]) or now)
if not due then return redis.error_reply('WRONGTYPE not a rate limit') end
due = math.min(math.max(due, now), now + depth) + step
local over = due - depth - now
if over > 0 then return {0, over} end
local ttl = math.ceil((due - now) / 1000)
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', string.format('%.0f', ttl))
return {1, 0}
`)
