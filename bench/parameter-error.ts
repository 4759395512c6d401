/** What is wrong with a parameter that the user has set: one line that names it, its value and what is allowed. */
export class ParameterError extends Error {
  override readonly name = "ParameterError";
}
