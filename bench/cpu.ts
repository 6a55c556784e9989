import { readdirSync, readFileSync } from 'node:fs';

/** Linux shows CPU times in ticks of 100 Hz on every architecture that Node runs on. */
const tickUs = 10_000;

/** User and system time of a process since its start, all threads of it, in microseconds. */
export function cpuUs(pid: number): number {
  const { utime, stime } = times(pid);
  return (utime + stime) * tickUs;
}

/** The same of a process and all that it has started and that still runs, as some servers let a child do the work. */
export function cpuOfAllUs(pid: number): number {
  let sum = cpuUs(pid);
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const children = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim();
    if (children !== '') for (const child of children.split(' ')) sum += cpuOfAllUs(Number(child));
  }
  return sum;
}

/** The same of a process together with its children that have ended and were waited for. */
export function cpuWithEndedChildrenUs(pid: number): number {
  const { utime, stime, cutime, cstime } = times(pid);
  return (utime + stime + cutime + cstime) * tickUs;
}

/** proc_pid_stat(5): fields 14 to 17. */
function times(pid: number): Record<'utime' | 'stime' | 'cutime' | 'cstime', number> {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses, which may contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number) as [number, number, number, number];
  return { utime, stime, cutime, cstime };
}

/** Time that the cores of the machine were busy, and all time there was, in microseconds since boot; proc_stat(5). */
export function machineUs(): { busy: number; total: number } {
  const [user, nice, system, idle, iowait, irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .slice(0, 1_000)
    .split('\n', 1)[0]!
    .trim()
    .split(/\s+/)
    .slice(1)
    .map((ticks) => Number(ticks) * tickUs) as [number, number, number, number, number, number, number, number];
  const busy = user + nice + system + irq + softirq + steal;
  return { busy, total: busy + idle + iowait };
}
