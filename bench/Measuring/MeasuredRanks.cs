namespace Cluster.Bench.Measuring;

/// <summary>The processes of one contestant, a rank each, which take the same orders at once.</summary>
internal sealed class MeasuredRanks : IAsyncDisposable
{
    private readonly MeasuredProcess[] ranks;

    private MeasuredRanks(MeasuredProcess[] ranks) => this.ranks = ranks;

    /// <summary>Starts them all; each must say by a first answer that it has joined the others.</summary>
    public static async Task<MeasuredRanks> StartAsync<TAnswer>(
        int worldSize, Func<int, MeasuredProcess> start, CancellationToken cancellationToken)
    {
        var started = new MeasuredRanks([.. Enumerable.Range(0, worldSize).Select(start)]);
        try
        {
            await started.AnswersAsync<TAnswer>(cancellationToken);
            return started;
        }
        catch
        {
            await started.DisposeAsync();
            throw;
        }
    }

    /// <returns>The ranks' answers.</returns>
    public async Task<TAnswer[]> AskAsync<TOrder, TAnswer>(TOrder order, CancellationToken cancellationToken)
    {
        foreach (var rank in ranks)
            await rank.SendAsync(order);
        return await AnswersAsync<TAnswer>(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var rank in ranks)
            await rank.DisposeAsync();
    }

    private async Task<TAnswer[]> AnswersAsync<TAnswer>(CancellationToken cancellationToken) =>
        await Task.WhenAll(ranks.Select(rank => rank.ReceiveAsync<TAnswer>(cancellationToken)));
}
