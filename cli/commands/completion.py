"""`quorate completion`: what teaches a shell to complete our verbs, options and contexts."""

import click

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_QUORATE_COMPLETE"  # By it, click tells a shell's question from a call.


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
    """Print what lets SHELL complete `quorate`: bash, zsh or fish.

    \b
    bash  quorate completion bash > ~/.quorate-completion.bash
          echo '. ~/.quorate-completion.bash' >> ~/.bashrc
    zsh   quorate completion zsh > ~/.quorate-completion.zsh
          echo '. ~/.quorate-completion.zsh' >> ~/.zshrc    (after compinit)
    fish  quorate completion fish > ~/.config/fish/completions/quorate.fish
    """  # noqa: D301 - click wants the character itself.
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    ctx = click.get_current_context()
    asked = kind(ctx.find_root().command, {}, "quorate", VARIABLE)
    # Not source(): for bash, that runs whatever bash is first on the PATH.
    click.echo(asked.source_template % asked.source_vars(), nl=False)
