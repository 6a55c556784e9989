import { perCall } from '#core/price.ts';
import type { StoreScript } from '#core/shared-store.ts';
import { slices } from '../counters/sliding-window.ts';

/**
 * The counters of `counters/` once more, in Lua, on the clock of the Redis server: what is said there holds here. A counter is a
 * list of whole numbers, packed; `concurrent` is a sorted set of what is under way, each until its lease ends.
 */
const counters = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = ${slices + 1}
local remember = 2000

local function bucketMove(s, r)
  local passed = now - s[2]
  s[2] = now
  if passed > 0 and s[1] > 0 then
    if passed * (r.drip / r.per) > s[1] + 1 then
      s[1] = 0
    else
      local whole = passed * r.drip + math.min(s[3], r.per - 1)
      local back = math.floor(whole / r.per)
      s[3] = whole - back * r.per
      s[1] = s[1] - back
    end
  end
  if s[1] <= 0 then s[1] = 0; s[3] = 0 end
  if s[1] < s[4] then s[4] = s[1] end
end

local function windowMove(s, r)
  local current = math.floor(now / r.slice)
  local steps = current - s[1]
  if steps < 0 then
    local former = {}
    for i = 0, kept - 1 do former[i] = s[3 + i] end
    for back = 0, kept - 1 do s[3 + (current - back) % kept] = former[(s[1] - back) % kept] end
  elseif steps >= kept then
    for i = 0, kept - 1 do s[3 + i] = 0 end
    s[2] = 0
  else
    for slice = s[1] + 1, current do
      local i = 3 + slice % kept
      s[2] = s[2] - s[i]
      s[i] = 0
    end
  end
  s[1] = current
end

local function fixedMove(s, r)
  local current = math.floor(now / r.window)
  if current > s[1] then s[2] = math.max(0, s[2] - (current - s[1]) * r.capacity) end
  s[1] = current
end

local kinds = {
  ['token-bucket'] = {
    new = function() return { 0, now, 0, 0, 0, 0, 0 } end,
    move = bucketMove,
    used = function(s) return s[1] end,
    take = function(s, r, amount)
      if s[1] == 0 then s[4] = amount; s[5] = now; s[6] = amount; s[7] = now end
      s[1] = s[1] + amount
      if now - s[5] >= remember then s[6] = s[4]; s[7] = s[5]; s[4] = s[1]; s[5] = now end
    end,
    back = function(s, r, unused, taken, since)
      local sure = taken - math.ceil((now - since) * r.drip / r.per) - 1
      local least = 0
      if since >= s[5] then least = s[4] elseif since >= s[7] then least = math.min(s[4], s[6]) end
      local given = math.min(unused, s[1], math.max(0, sure, least))
      s[1] = s[1] - given
      s[4] = math.max(0, s[4] - given)
      s[6] = math.max(0, s[6] - given)
    end,
    wait = function(s, r, lacking) return math.ceil((lacking * r.per - s[3]) / r.drip) end,
    next = function(s, r) return math.ceil((math.min(${perCall}, s[1]) * r.per - s[3]) / r.drip) end,
    rest = function(s, r) return math.ceil((s[1] * r.per - s[3]) / r.drip) end,
  },
  ['sliding-window'] = {
    new = function(r)
      local s = { math.floor(now / r.slice), 0 }
      for i = 0, kept - 1 do s[3 + i] = 0 end
      return s
    end,
    move = windowMove,
    used = function(s) return s[2] end,
    take = function(s, r, amount)
      local i = 3 + s[1] % kept
      s[i] = s[i] + amount
      s[2] = s[2] + amount
    end,
    back = function(s, r, unused, taken, since)
      local slice = math.floor(since / r.slice)
      if slice > s[1] or slice <= s[1] - kept then return end
      local i = 3 + slice % kept
      local given = math.min(unused, s[i])
      s[i] = s[i] - given
      s[2] = s[2] - given
    end,
    wait = function(s, r, lacking)
      for slice = s[1] - kept + 1, s[1] do
        lacking = lacking - s[3 + slice % kept]
        if lacking <= 0 then return (slice + kept) * r.slice - now end
      end
      return 0
    end,
    next = function(s, r)
      if s[2] == 0 then return 0 end
      local oldest = math.max(0, s[1] - kept + 1)
      while s[3 + oldest % kept] == 0 do oldest = oldest + 1 end
      return (oldest + kept) * r.slice - now
    end,
    rest = function(s, r)
      if s[2] == 0 then return 0 end
      local newest = s[1]
      while s[3 + newest % kept] == 0 do newest = newest - 1 end
      return (newest + kept) * r.slice - now
    end,
  },
  ['fixed-window'] = {
    new = function(r) return { math.floor(now / r.window), 0 } end,
    move = fixedMove,
    used = function(s) return s[2] end,
    take = function(s, r, amount) s[2] = s[2] + amount end,
    back = function(s, r, unused, taken, since)
      if math.floor(since / r.window) == s[1] then s[2] = math.max(0, s[2] - unused) end
    end,
    wait = function(s, r, lacking) return (s[1] + math.ceil(lacking / r.capacity)) * r.window - now end,
    next = function(s, r)
      if s[2] == 0 then return 0 end
      return (s[1] + 1) * r.window - now
    end,
    rest = function(s, r)
      local windows = math.ceil(s[2] / r.capacity)
      if windows == 0 then return 0 end
      return (s[1] + windows) * r.window - now
    end,
  },
}

local function ruleAt(i)
  return {
    kind = ARGV[i], capacity = tonumber(ARGV[i + 1]), window = tonumber(ARGV[i + 2]), drip = tonumber(ARGV[i + 3]),
    per = tonumber(ARGV[i + 4]), slice = tonumber(ARGV[i + 5]),
  }
end

local function counterAt(key, r)
  local kind = kinds[r.kind]
  local packed = redis.call('GET', key)
  local s = packed and cmsgpack.unpack(packed) or kind.new(r)
  kind.move(s, r)
  return kind, s
end

local function keep(key, kind, s, r)
  -- Forgotten when it has nothing left to count, and a second later.
  redis.call('SET', key, cmsgpack.pack(s), 'PX', math.max(0, kind.rest(s, r)) + 1000)
end
`;

/** Milliseconds after which something under way counts no more unless its instance says that it goes on. */
export const leaseMs = 60_000;

/**
 * Decides on the limits of one request. `ARGV`: its id; until when it may be decided, on the server's clock; then for each key
 * the rule, the amount and whether it only reports. What comes later than that does nothing, since nobody waits for it any more.
 */
export const chargeScript: StoreScript = {
  name: 'charge',
  lua: `${counters}
if now > tonumber(ARGV[2]) then return { 2, now } end
local admitted = 1
local asked = {}
for i, key in ipairs(KEYS) do
  local at = 3 + (i - 1) * 8
  local r = ruleAt(at)
  local amount = tonumber(ARGV[at + 6])
  local one = { r = r, amount = amount, wait = 0 }
  if r.kind == 'concurrent' then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    one.room = r.capacity - redis.call('ZCARD', key) * 1000
  else
    one.kind, one.s = counterAt(key, r)
    one.room = r.capacity - one.kind.used(one.s)
  end
  if one.room < amount then
    if amount > r.capacity then one.wait = -1
    elseif one.kind then one.wait = math.max(1, one.kind.wait(one.s, r, amount - one.room))
    else one.wait = 1000 end
    if ARGV[at + 7] == '0' then admitted = 0 end
  end
  asked[i] = one
end
local answer = { admitted, now }
for i, key in ipairs(KEYS) do
  local one = asked[i]
  local next, rest = 0, 0
  if admitted == 1 and one.wait == 0 then
    one.room = one.room - one.amount
    if one.kind then
      one.kind.take(one.s, one.r, one.amount)
      keep(key, one.kind, one.s, one.r)
    else
      redis.call('ZADD', key, now + ${leaseMs}, ARGV[1])
      redis.call('PEXPIRE', key, ${leaseMs})
    end
  end
  if one.kind then
    next = one.kind.next(one.s, one.r)
    rest = one.kind.rest(one.s, one.r)
  end
  answer[#answer + 1] = one.room
  answer[#answer + 1] = one.wait
  answer[#answer + 1] = next
  answer[#answer + 1] = rest
end
return answer
`,
};

/** Gives back or owes. `ARGV`: the id; then for each key the rule, the change, what was taken, and when. */
export const settleScript: StoreScript = {
  name: 'settle',
  lua: `${counters}
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 9
  local r = ruleAt(at)
  if r.kind == 'concurrent' then
    redis.call('ZREM', key, ARGV[1])
  else
    local change = tonumber(ARGV[at + 6])
    -- What is forgotten has nothing to give back.
    if change < 0 or redis.call('EXISTS', key) == 1 then
      local kind, s = counterAt(key, r)
      if change < 0 then kind.take(s, r, -change)
      else kind.back(s, r, change, tonumber(ARGV[at + 7]), tonumber(ARGV[at + 8])) end
      keep(key, kind, s, r)
    end
  end
end
return 1
`,
};

/** Says that what is under way goes on: its lease begins anew. `ARGV`: ids. */
export const renewScript: StoreScript = {
  name: 'renew',
  lua: `
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ${leaseMs}
for _, id in ipairs(ARGV) do redis.call('ZADD', KEYS[1], 'XX', ends, id) end
redis.call('PEXPIRE', KEYS[1], ${leaseMs})
return 1
`,
};

/** An instance that has not been heard of for so long is gone. */
export const goneMs = 10_000;

/** Says that an instance is there. `ARGV`: its id. Returns the server's time, and how many there are. */
export const beatScript: StoreScript = {
  name: 'beat',
  lua: `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ${goneMs})
redis.call('PEXPIRE', KEYS[1], ${goneMs})
return { now, redis.call('ZCARD', KEYS[1]) }
`,
};
