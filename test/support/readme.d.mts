/** Types of readme.mjs, which plain Node runs, too. */
export function blocks(language: string): string[];
export function programs(): string[];
export function files(): (readonly [name: string, text: string])[];
