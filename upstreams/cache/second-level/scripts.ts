import type { StoreScript } from '#core/shared-store.ts';
import { leaseOffset } from './codec.ts';

/**
 * Leases make the store safe against who is slow: a lease is a random text that a path has. Who is about to ask the upstream reads
 * it, or makes one where there is none; what he then stores carries it, and is stored only if it is still that of the path. Who
 * has changed something removes it. Whatever was asked for before has no lease any more, whether it is stored already or comes
 * late; and what Redis itself has lost or evicted is gone with all that depended on it. Removing needs no memory.
 */

/**
 * KEYS: lease, lock, entries. ARGV: a new lease, the time to keep it, the most bytes of an entry, an id to hold the lock by or
 * nothing, the time to hold it. Gives the lease, or nothing where none can be made; the time; 1 unless another holds the lock;
 * what the entries hold.
 */
export const look: StoreScript = {
  name: 'cache-look',
  lua: `local time = redis.call('TIME')
local lease = redis.call('GET', KEYS[1])
local known = lease
if not lease then
  -- Where there is no memory left, it is read only.
  local made = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  lease = made.err and '' or ARGV[1]
elseif redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
local free = 1
if ARGV[4] ~= '' then
  local taken = redis.pcall('SET', KEYS[2], ARGV[4], 'NX', 'PX', ARGV[5])
  if not taken then free = 0 end
end
local answer = { lease, time[1] * 1000 + math.floor(time[2] / 1000), free }
for i = 3, #KEYS do
  local held = false
  if known and redis.call('STRLEN', KEYS[i]) <= tonumber(ARGV[3]) then
    if redis.call('GETRANGE', KEYS[i], ${leaseOffset}, ${leaseOffset + 15}) == known then held = redis.call('GET', KEYS[i]) end
  end
  answer[i + 1] = held
end
return answer`,
};

/**
 * KEYS: lease, lock, entry, what stands for it where there are several. ARGV: the lease, the time to keep the entry, the entry,
 * what stands for it or nothing, the id that holds the lock or nothing. Gives 0 where the lease is another's by now.
 */
export const put: StoreScript = {
  name: 'cache-put',
  lua: `if ARGV[5] ~= '' and redis.call('GET', KEYS[2]) == ARGV[5] then redis.call('DEL', KEYS[2]) end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[2])
local lasts = tonumber(ARGV[2])
if ARGV[4] ~= '' then
  local before = redis.call('PTTL', KEYS[4])
  redis.call('SET', KEYS[4], ARGV[4], 'PX', math.max(lasts, before))
end
if redis.call('PTTL', KEYS[1]) < lasts then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1`,
};

/** KEYS: lock. ARGV: the id that holds it. */
export const release: StoreScript = {
  name: 'cache-release',
  lua: `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`,
};

/**
 * Before an entry is put. KEYS: entries of the tag, when it was purged. ARGV: when the upstream was about to be asked, the time
 * that the entry is kept, its key. Gives 0 where the tag was purged since.
 */
export const tag: StoreScript = {
  name: 'cache-tag',
  lua: `local purged = redis.call('GET', KEYS[2])
if purged and tonumber(purged) >= tonumber(ARGV[1]) then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[3])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last[2]))
return 1`,
};

/**
 * KEYS: entries of the tag, when it was purged, those that are to go. ARGV: the time to remember it. Those that are to go are
 * set apart, so that what is stored meanwhile is not forgotten with them. Gives how many they are.
 */
export const doom: StoreScript = {
  name: 'cache-doom',
  lua: `-- What has removed something is not refused for want of memory.
redis.call('DEL', KEYS[2])
local time = redis.call('TIME')
redis.call('SET', KEYS[2], string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), 'PX', ARGV[1])
if redis.call('EXISTS', KEYS[3]) == 1 then
  local lasts = math.max(redis.call('PTTL', KEYS[3]), redis.call('PTTL', KEYS[1]))
  redis.call('ZUNIONSTORE', KEYS[3], 2, KEYS[3], KEYS[1])
  redis.call('PEXPIRE', KEYS[3], lasts)
  redis.call('DEL', KEYS[1])
elseif redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[3])
end
return redis.call('ZCARD', KEYS[3])`,
};

/** KEYS: state. ARGV: an era, where there is none yet. Gives all fields of the state. */
export const readState: StoreScript = {
  name: 'cache-state',
  lua: `if redis.call('HEXISTS', KEYS[1], 'era') == 0 then redis.call('HSET', KEYS[1], 'era', ARGV[1]) end
return redis.call('HGETALL', KEYS[1])`,
};

/**
 * KEYS: state, nothing. ARGV: the channel, the news, then fields of the state and what they become. The news are numbered, so
 * that who has missed some knows.
 */
export const announce: StoreScript = {
  name: 'cache-announce',
  lua: `redis.call('DEL', KEYS[2])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
local number = redis.call('HINCRBY', KEYS[1], 'news', 1)
redis.call('PUBLISH', ARGV[1], number .. '\\n' .. ARGV[2])
return number`,
};

/** KEYS: state, nothing. ARGV: the era that is over, the next. */
export const nextEra: StoreScript = {
  name: 'cache-era',
  lua: `redis.call('DEL', KEYS[2])
if redis.call('HGET', KEYS[1], 'era') == ARGV[1] then redis.call('HSET', KEYS[1], 'era', ARGV[2]) end
return redis.call('HGETALL', KEYS[1])`,
};
