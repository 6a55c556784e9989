const months = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');

/** RFC 9110 §5.6.7: IMF-fixdate, and the two obsolete formats that a recipient must read. */
const fixdate = /^[a-z]{3}, (\d{2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) gmt$/;
const rfc850 = /^[a-z]{6,9}, (\d{2})-([a-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) gmt$/;
const asctime = /^[a-z]{3} ([a-z]{3}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/;

/** Milliseconds since the epoch; undefined for what is no date of HTTP. */
export function httpDate(value: string | string[] | undefined, nowMs: number): number | undefined {
  if (typeof value !== 'string') return undefined;
  const text = value.toLowerCase();
  let match = fixdate.exec(text);
  if (match) return assemble(match[3]!, match[2]!, match[1]!, match[4]!, match[5]!, match[6]!);
  match = rfc850.exec(text);
  if (match) {
    // §5.6.7: what seems more than 50 years in the future is of the last century that ends so.
    const century = Math.floor(new Date(nowMs).getUTCFullYear() / 100) * 100;
    const year = century + Number(match[3]);
    const full = year > new Date(nowMs).getUTCFullYear() + 50 ? year - 100 : year;
    return assemble(String(full), match[2]!, match[1]!, match[4]!, match[5]!, match[6]!);
  }
  match = asctime.exec(text);
  if (match) return assemble(match[6]!, match[1]!, match[2]!, match[3]!, match[4]!, match[5]!);
  return undefined;
}

function assemble(year: string, month: string, ...rest: readonly string[]): number | undefined {
  const index = months.indexOf(month);
  if (index < 0) return undefined;
  const [day = 0, hour = 0, minute = 0, second = 0] = rest.map(Number);
  if (day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return undefined;
  return Date.UTC(Number(year), index, day, hour, minute, second);
}
