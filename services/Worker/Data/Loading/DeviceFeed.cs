using Cluster.Worker.Devices.Cuda;
using static TorchSharp.torch;

namespace Cluster.Worker.Data.Loading;

/// <summary>Sends a batch to the GPU while the step of the one before is computed there.</summary>
/// <remarks>
/// Two slots on the device take turns. A step reads its slot until it ends, which it does by waiting for its figures; so when a step
/// begins, the slot of the one before is free for the batch after it. For one thread.
/// </remarks>
public sealed class DeviceFeed : IDisposable
{
    private readonly CudaDevice _cuda;
    private readonly nint _stream;
    private readonly nint _computed;
    private readonly Slot[] _slots;
    private int _turn;

    /// <param name="cuda">As the driver knows it.</param>
    /// <param name="device">The same as libtorch does.</param>
    internal DeviceFeed(CudaDevice cuda, Device device)
    {
        _cuda = cuda;
        cuda.Enter();
        _stream = cuda.Driver.CreateStream();
        _computed = cuda.Driver.CreateEvent();
        _slots = [new Slot(this, device), new Slot(this, device)];
    }

    /// <summary>
    /// Begins to send what <see cref="Take"/> will be asked for next but one at most. The batch must live until the step that takes it has
    /// ended.
    /// </summary>
    public void Begin(HostBatch batch)
    {
        _cuda.Enter();
        _slots[_turn].Begin(batch);
        _turn = 1 - _turn;
    }

    /// <summary>
    /// What a batch has in <see cref="HostBatch.Memory"/>, on the device and in the current dispose scope; null if it was not sent. What
    /// is computed with it waits for it.
    /// </summary>
    public IReadOnlyList<Tensor>? Take(HostBatch batch)
    {
        _cuda.Enter();
        return Array.Find(_slots, slot => slot.Batch == batch)?.Take();
    }

    public void Dispose()
    {
        _cuda.Enter();
        foreach (var slot in _slots)
            slot.Dispose();
        _cuda.Driver.DestroyEvent(_computed);
        _cuda.Driver.DestroyStream(_stream);
        _cuda.Dispose();
    }

    private sealed class Slot(DeviceFeed feed, Device device) : IDisposable
    {
        private readonly nint _arrived = feed._cuda.Driver.CreateEvent();
        private readonly Tensor?[] _tensors = new Tensor?[HostBatch.MostTensors];

        /// <summary>That is being sent, or there and not taken yet.</summary>
        public HostBatch? Batch { get; private set; }

        public void Begin(HostBatch batch)
        {
            for (var i = 0; i < batch.Memory.Count; i++)
            {
                Fit(i, batch.Memory[i]);
                Send(batch.Memory[i], _tensors[i]!);
            }

            feed._cuda.Driver.Record(_arrived, feed._stream);
            Batch = batch;
        }

        public IReadOnlyList<Tensor> Take()
        {
            feed._cuda.Driver.Wait(CudaDriver.ComputeStream, _arrived);
            var sent = _tensors[..Batch!.Memory.Count];
            Batch = null;
            return [.. sent.Select(tensor => tensor!.alias())];
        }

        public void Dispose()
        {
            try
            {
                feed._cuda.Driver.WaitFor(_arrived);
            }
            catch (DeviceException)
            {
                // The device has failed, which whoever computes there is told.
            }

            foreach (var tensor in _tensors)
                tensor?.Dispose();
            feed._cuda.Driver.DestroyEvent(_arrived);
        }

        private void Fit(int index, Tensor source)
        {
            if (_tensors[index] is { } tensor && tensor.numel() == source.numel() && tensor.dtype == source.dtype)
                return;
            // Another size: the compute stream may use the memory again, but not before what is still on its way here has come.
            feed._cuda.Driver.Wait(CudaDriver.ComputeStream, _arrived);
            _tensors[index]?.Dispose();
            _tensors[index] = empty(source.numel(), dtype: source.dtype, device: device).DetachFromDisposeScope();
            // The memory may be what the compute stream has not finished with, though nobody holds it any more.
            feed._cuda.Driver.Record(feed._computed, CudaDriver.ComputeStream);
            feed._cuda.Driver.Wait(feed._stream, feed._computed);
        }

        private void Send(Tensor source, Tensor target)
        {
            if (source.numel() > 0)
                feed._cuda.Driver.CopyToDevice(
                    TensorMemory.AddressOf(source), TensorMemory.AddressOf(target), source.numel() * source.element_size(), feed._stream);
        }
    }
}
