"""`quorate completion`: print the shell completion script."""

import click

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_QUORATE_COMPLETE"  # click detects a completion request by this variable.


@click.command(
    epilog="""
\b
Examples:
  quorate completion bash
  eval "$(quorate completion bash)"
"""
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish.

    \b
    bash  quorate completion bash > ~/.quorate-completion.bash
          echo '. ~/.quorate-completion.bash' >> ~/.bashrc
    zsh   quorate completion zsh > ~/.quorate-completion.zsh
          echo '. ~/.quorate-completion.zsh' >> ~/.zshrc    (after compinit)
    fish  quorate completion fish > ~/.config/fish/completions/quorate.fish
    """  # noqa: D301 - click needs the control character.
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    ctx = click.get_current_context()
    completer = kind(ctx.find_root().command, {}, "quorate", VARIABLE)
    # source() would run the first bash on the PATH.
    click.echo(completer.source_template % completer.source_vars(), nl=False)
