/** All verbs of the scenario language, by name. */
import type { Verb } from "./verb.js";
import { accessVerbs } from "./verbs-access.js";
import { deviceVerbs } from "./verbs-devices.js";
import { grantVerbs } from "./verbs-grants.js";
import { queueVerbs } from "./verbs-queue.js";
import { tableVerbs } from "./verbs-table.js";

export const VERBS: ReadonlyMap<string, Verb> = new Map(
  Object.entries({ ...grantVerbs, ...accessVerbs, ...queueVerbs, ...deviceVerbs, ...tableVerbs }),
);
