import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Descriptors {
  readonly total: number;
  /** Connections of clients. */
  readonly clients: number;
  /** Connections to the services. */
  readonly upstreams: number;
}

/** Descriptors of a process, and of how many each end is; proc_pid_fd(5), proc_pid_net(5). IPv4. */
export function descriptorsOf(pid: number, port: number, upstreamPorts: ReadonlySet<number>): Descriptors {
  const folder = `/proc/${pid}/fd`;
  const inodes = new Set<string>();
  let total = 0;
  for (const descriptor of readdirSync(folder)) {
    total++;
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`${folder}/${descriptor}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  let [clients, upstreams] = [0, 0];
  for (const line of readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n').slice(1)) {
    const [, local = '', remote = '', state, , , , , , inode = ''] = line.trim().split(/\s+/);
    if (!inodes.has(inode) || state === listening) continue;
    if (portOf(local) === port) clients++;
    else if (upstreamPorts.has(portOf(remote))) upstreams++;
  }
  return { total, clients, upstreams };
}

const listening = '0A';

/** `0100007F:1388` */
function portOf(address: string): number {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16);
}

/** One may be closed between being listed and being read. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
