/** The instrumentation scope of everything Weir itself reports. */
export const scope = { name: 'weir' } as const;
