using System.Threading.Channels;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Tests.Agent;

/// <summary>What the agent's tests share: a scheduler, and patience that ends.</summary>
public abstract class AgentTest : IAsyncLifetime, IDisposable
{
    private readonly CancellationTokenSource _end = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

    private protected FakeScheduler Scheduler { get; private set; } = null!;

    protected CancellationToken End => _end.Token;

    private protected virtual TimeSpan Patience => TimeSpan.FromMinutes(3);

    public async ValueTask InitializeAsync()
    {
        _end.CancelAfter(Patience);
        Scheduler = await FakeScheduler.StartAsync(End);
    }

    public async ValueTask DisposeAsync()
    {
        await Scheduler.DisposeAsync();
        Dispose();
        GC.SuppressFinalize(this);
    }

    public void Dispose()
    {
        _end.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>The next line of log that <paramref name="wanted"/> accepts.</summary>
    private protected Task<LogLine> LineAsync(Func<LogLine, bool> wanted) => NextAsync(Scheduler.Lines, wanted);

    private protected async Task<T> NextAsync<T>(Channel<T> channel, Func<T, bool> wanted)
    {
        await foreach (var item in channel.Reader.ReadAllAsync(End))
        {
            if (wanted(item))
                return item;
        }

        throw new InvalidOperationException("the channel has ended");
    }

    private protected async Task<List<LogLine>> LinesUntilAsync(Func<LogLine, bool> last)
    {
        var lines = new List<LogLine>();
        await foreach (var line in Scheduler.Lines.Reader.ReadAllAsync(End))
        {
            lines.Add(line);
            if (last(line))
                break;
        }

        return lines;
    }
}
