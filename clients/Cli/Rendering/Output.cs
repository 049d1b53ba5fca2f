using Google.Protobuf;
using Spectre.Console;

namespace Cluster.Cli.Rendering;

/// <summary>Where a verb's answer goes, as text for people or as JSON for programs.</summary>
internal sealed class Output(CliHost host, bool isJson)
{
    // Defaults are written, so that a program finds every key; unset optional fields are absent, since they have no value.
    private static readonly JsonFormatter Document = new(JsonFormatter.Settings.Default.WithFormatDefaultValues(true).WithIndentation());
    private static readonly JsonFormatter Line = new(JsonFormatter.Settings.Default.WithFormatDefaultValues(true));

    public bool IsJson => isJson;

    public bool IsTerminal => host.IsTerminal && !isJson;

    public int Width => host.Width;

    public Task LineAsync(string text) => host.Out.WriteLineAsync(Printable.OneLine(text));

    /// <summary>Text of several lines that is ours.</summary>
    public Task BlockAsync(string text) => host.Out.WriteAsync(text);

    /// <summary>Cut at a terminal's width; whole in a pipe, and as CSV.</summary>
    public Task TableAsync(ColumnTable table, bool isCsv = false) =>
        BlockAsync(isCsv ? table.Csv() : table.Render(IsTerminal ? Width : null));

    /// <summary>A remark beside the answer: on stderr, so that it spoils no pipe.</summary>
    public Task RemarkAsync(string text) => host.Error.WriteLineAsync(Printable.OneLine(text));

    public Task DocumentAsync(IMessage message) => host.Out.WriteLineAsync(Document.Format(message));

    /// <summary>One message of a stream, flushed, so that a program reading the pipe sees it at once.</summary>
    public async Task MessageAsync(IMessage message)
    {
        await host.Out.WriteLineAsync(Line.Format(message));
        await host.Out.FlushAsync();
    }

    public IAnsiConsole Console() => AnsiConsole.Create(new AnsiConsoleSettings
    {
        Out = new HostOutput(host),
        Ansi = host.IsTerminal ? AnsiSupport.Yes : AnsiSupport.No,
        // Ansi alone would colour whatever https://no-color.org's variable says.
        ColorSystem = host.HasColours ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
        Interactive = host.IsTerminal ? InteractionSupport.Yes : InteractionSupport.No,
    });

    private sealed class HostOutput(CliHost host) : IAnsiConsoleOutput
    {
        public TextWriter Writer => host.Out;

        public bool IsTerminal => host.IsTerminal;

        public int Width => host.Width;

        public int Height => host.Height;

        public void SetEncoding(System.Text.Encoding encoding)
        {
            // The writer has its encoding already.
        }
    }
}
