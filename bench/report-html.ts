/** placeholder */
import type { Report } from "./report.js";
export function toHtml(_report: Report): string {
  return "";
}
