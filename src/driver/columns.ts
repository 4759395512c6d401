/** How many columns of a terminal a text takes: characters of East Asia and emoji take two, and what joins others none. */

/** What Unicode calls wide or full-width, and characters that are shown as pictures. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u;
const PLAIN = /^[\x20-\x7e]*$/;

const segmenter: Intl.Segmenter = new Intl.Segmenter("en");

/** What stands for one character each, marks and joined emoji with it. */
function graphemes(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

export function columnsOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  return graphemes(text).reduce((sum, one) => sum + (WIDE.test(one) ? 2 : 1), 0);
}

export function padLeft(text: string, columns: number): string {
  return " ".repeat(Math.max(0, columns - columnsOf(text))) + text;
}

export function padRight(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - columnsOf(text)));
}

/** As much of its beginning as fits. */
export function cutAt(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let [cut, used] = ["", 0];
  for (const one of graphemes(text)) {
    used += columnsOf(one);
    if (used > columns) break;
    cut += one;
  }
  return cut;
}
