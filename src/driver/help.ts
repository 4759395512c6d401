/** `help`: as commander's own, which answers a command that there is not with all of the help, and not with what was wrong. */

import { Command } from "commander";

/** Gives a command with commands of its own the command `help`. */
export function addHelp(parent: Command, description: string): Command {
  const help = new Command("help")
    .description(description)
    .argument("[command]")
    .allowExcessArguments()
    .action((name?: string) => {
      const named = parent.commands.find((command) => command.name() === name);
      // As the command itself would: unknown, with the one that may have been meant.
      if (name !== undefined && named === undefined) parent.parse([name], { from: "user" });
      else (named ?? parent).outputHelp();
    });
  return parent.helpCommand(false).addCommand(help);
}
