using System.Runtime.InteropServices;
using Cluster.Contracts.Safetensors;
using Cluster.Dashboard.Tests.Fixtures;
using Microsoft.Playwright;

namespace Cluster.Dashboard.Tests.Checkpoints;

/// <summary>Weights that are saved from a page, whatever split wrote them.</summary>
[Collection(typeof(Visitors))]
public sealed class WeightsFileTests(Visitor visitor) : IAsyncDisposable
{
    private readonly string _address = $"{visitor.Dashboard.Address}/checkpoints/0198f00d-1111-7222-8333-444455556666/weights";

    public ValueTask DisposeAsync() => visitor.LeaveAsync();

    [Fact]
    public async Task WeightsOfSeveralRanks_ComeAsOneFileOfWholeTensors()
    {
        var answer = await GetAsync();

        answer.Status.ShouldBe(200);
        var bytes = await answer.BodyAsync();
        var header = SafetensorsReader.HeaderBytes(bytes, bytes.Length);
        var entries = SafetensorsReader.ParseHeader(bytes.AsMemory(8, header), bytes.Length - 8 - header).ToDictionary(entry => entry.Name);
        entries["fc.weight"].Shape.ShouldBe([2, 4]);
        Values<float>("fc.weight").ShouldBe([0, 1, 2, 3, 4, 5, 6, 7]);
        Values<float>("bn.running_var").ShouldBe([1, 2]);
        // PyTorch's strict loading asks for it, and no rank writes it.
        Values<long>("bn.num_batches_tracked").ShouldBe([40]);

        T[] Values<T>(string name) where T : struct => [.. MemoryMarshal.Cast<byte, T>(
            bytes.AsSpan(8 + header + (int)entries[name].Begin, (int)(entries[name].End - entries[name].Begin)))];
    }

    [Fact]
    public async Task WeightsThatAreInNoOrder_AreLeftToTheCommandLine()
    {
        visitor.Scheduler.Weights = SplitWeights.OutOfOrder();

        var answer = await GetAsync();

        answer.Status.ShouldBe(409);
        (await answer.TextAsync()).ShouldContain("./cluster checkpoint download 0198f00d-1111-7222-8333-444455556666 puts them together");
    }

    [Fact]
    public async Task WeightsThatComeBackChanged_AreNoFile()
    {
        visitor.Scheduler.Weights.LastChunkIsChanged = true;

        await Should.ThrowAsync<PlaywrightException>(async () => await (await GetAsync()).BodyAsync());
    }

    private async Task<IAPIResponse> GetAsync()
    {
        var page = await visitor.NewPageAsync();
        await EndToEnd.Tests.Chromium.SignInAsync(page, visitor.Dashboard.Address, FakeScheduler.Token);
        return await page.APIRequest.GetAsync(_address);
    }
}
