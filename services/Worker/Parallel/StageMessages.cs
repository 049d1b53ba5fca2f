using System.Diagnostics;
using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>Tensors on their way between the stages of a pipeline, while the stages compute.</summary>
/// <remarks>
/// A tensor lives until the group has let go of its memory, on a failure too: whoever sends or receives it holds it so long.
/// </remarks>
internal sealed class StageMessages(ICollectiveGroup axis)
{
    private readonly List<Task> sending = [];

    /// <summary>Time that this stage stood still for messages since <see cref="Begin"/>.</summary>
    public TimeSpan Waited { get; private set; }

    public void Begin() => Waited = TimeSpan.Zero;

    /// <param name="values">Stays the caller's. Nobody may change its elements before <see cref="Flush"/>.</param>
    /// <param name="stage">That receives it.</param>
    /// <param name="operation">Name for errors and traces.</param>
    public void Send(Tensor values, int stage, string operation) =>
        sending.Add(SendAsync(values.detach().contiguous().DetachFromDisposeScope(), stage, operation));

    /// <summary>What one stage sends, in its order.</summary>
    /// <param name="stage">That sends it.</param>
    /// <param name="operation">Name for errors and traces.</param>
    /// <param name="dtype">Of the tensors.</param>
    /// <param name="shapes">Of the tensors that come.</param>
    public Inbox From(int stage, string operation, ScalarType dtype, IReadOnlyList<long[]> shapes) =>
        new(this, stage, operation, dtype, shapes);

    /// <summary>Returns when all has been sent.</summary>
    public void Flush()
    {
        Task.WhenAll(sending).GetAwaiter().GetResult();
        sending.Clear();
    }

    private async Task SendAsync(Tensor values, int stage, string operation)
    {
        using (values)
            await axis.SendAsync<byte>(TensorMemory.AddressOf(values), values.numel() * values.ElementSize, stage, operation);
    }

    private async Task<Tensor> ReceiveAsync(long[] shape, ScalarType dtype, int stage, string operation)
    {
        var values = empty(shape, dtype: dtype).DetachFromDisposeScope();
        await axis.ReceiveAsync<byte>(TensorMemory.AddressOf(values), values.numel() * values.ElementSize, stage, operation);
        return values;
    }

    /// <summary>Receives one tensor ahead, so that it comes while the one before is computed on.</summary>
    /// <remarks>No more: what has come takes memory, and a peer that is late is found by how long it has been waited for.</remarks>
    internal sealed class Inbox(StageMessages messages, int stage, string operation, ScalarType dtype, IReadOnlyList<long[]> shapes)
    {
        private Task<Tensor>? next;
        private int taken;

        /// <summary>The next tensor, which is the caller's to dispose of.</summary>
        public Tensor Take()
        {
            next ??= Receive();
            var began = Stopwatch.GetTimestamp();
            var values = next.GetAwaiter().GetResult();
            messages.Waited += Stopwatch.GetElapsedTime(began);
            taken++;
            next = taken < shapes.Count ? Receive() : null;
            return values;
        }

        private Task<Tensor> Receive() => messages.ReceiveAsync(shapes[taken], dtype, stage, operation);
    }
}
