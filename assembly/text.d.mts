/** Types of text.mjs, which plain Node runs. */
export function asText(core: Uint8Array, sharedAt: number): string;
