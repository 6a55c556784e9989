import { z } from 'zod';

const text = z.string().min(1).max(256);

/** What is kept of an issued key: everything but the key. */
const record = z.object({
  id: text,
  /** The first letters of the key, by which people tell it from others. */
  prefix: text,
  consumer: text,
  name: z.string().max(256).default(''),
  scopes: z.array(text).max(200).default([]),
  /** Methods it is good for; all when empty. */
  methods: z.array(text).max(20).default([]),
  /** Addresses and CIDR blocks it is good from; all when empty. */
  allowIps: z.array(text).max(200).default([]),
  createdMs: z.number(),
  createdBy: z.string().max(256).default(''),
  expiresMs: z.number().optional(),
  revokedMs: z.number().optional(),
});

export type KeyRecord = Readonly<z.output<typeof record>>;

/** @returns undefined for what no version of this program wrote */
export function readRecord(json: unknown): KeyRecord | undefined {
  if (typeof json !== 'string') return undefined;
  try {
    return record.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
}
