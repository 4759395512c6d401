/** A partition whose module throws as soon as it is loaded. */
import { currentPartition } from "../../dist/src/worker.js";

throw new TypeError(`incarnation ${currentPartition().incarnation} cannot live`);
