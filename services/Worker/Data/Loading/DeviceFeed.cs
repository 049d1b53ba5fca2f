using Cluster.Worker.Devices.Cuda;
using Cluster.Worker.Parallel;
using static TorchSharp.torch;

namespace Cluster.Worker.Data.Loading;

/// <summary>Sends a batch to the GPU while the step of the one before is computed there.</summary>
/// <remarks>
/// Two places on the device take turns. A step reads its place until it ends, which it does by waiting for its figures; so when a step
/// begins, the place of the one before is free for the batch after it. For one thread.
/// </remarks>
public sealed class DeviceFeed : IDisposable
{
    private readonly CudaDevice _cuda;
    private readonly nint _stream;
    private readonly nint _computed;
    private readonly Place[] _places;
    private int _turn;

    /// <param name="cuda">As the driver knows it.</param>
    /// <param name="device">The same as libtorch does.</param>
    internal DeviceFeed(CudaDevice cuda, Device device)
    {
        _cuda = cuda;
        cuda.Enter();
        _stream = cuda.Driver.CreateStream();
        _computed = cuda.Driver.CreateEvent();
        _places = [new Place(this, device), new Place(this, device)];
    }

    /// <summary>
    /// Begins to send what <see cref="Take"/> will be asked for next but one at most. The batch must live until the step that takes it has
    /// ended.
    /// </summary>
    public void Begin(HostBatch batch)
    {
        _cuda.Enter();
        _places[_turn].Begin(batch);
        _turn = 1 - _turn;
    }

    /// <summary>
    /// A batch's images and labels as it has them, flat, on the device and in the current dispose scope; null if it was not sent. What is
    /// computed with them waits for them.
    /// </summary>
    public (Tensor Images, Tensor Labels)? Take(HostBatch batch)
    {
        _cuda.Enter();
        return Array.Find(_places, place => place.Batch == batch)?.Take();
    }

    public void Dispose()
    {
        _cuda.Enter();
        foreach (var place in _places)
            place.Dispose();
        _cuda.Driver.DestroyEvent(_computed);
        _cuda.Driver.DestroyStream(_stream);
        _cuda.Dispose();
    }

    private sealed class Place(DeviceFeed feed, Device device) : IDisposable
    {
        private readonly nint arrived = feed._cuda.Driver.CreateEvent();
        private Tensor? images;
        private Tensor? labels;

        /// <summary>That is under way, or there and not taken yet.</summary>
        public HostBatch? Batch { get; private set; }

        public void Begin(HostBatch batch)
        {
            var (sourceImages, sourceLabels) = batch.Memory;
            Fit(ref images, sourceImages);
            Fit(ref labels, sourceLabels);
            Send(sourceImages, images!);
            Send(sourceLabels, labels!);
            feed._cuda.Driver.Record(arrived, feed._stream);
            Batch = batch;
        }

        public (Tensor Images, Tensor Labels) Take()
        {
            feed._cuda.Driver.Wait(CudaDriver.ComputeStream, arrived);
            Batch = null;
            return (images!.alias(), labels!.alias());
        }

        public void Dispose()
        {
            SpinWait.SpinUntil(() => !IsUnderWay());
            images?.Dispose();
            labels?.Dispose();
            feed._cuda.Driver.DestroyEvent(arrived);
        }

        private bool IsUnderWay()
        {
            try
            {
                return !feed._cuda.Driver.HasHappened(arrived);
            }
            catch (DeviceException)
            {
                return false; // the device has failed, which whoever computes there is told
            }
        }

        private void Fit(ref Tensor? place, Tensor source)
        {
            if (place is not null && place.numel() == source.numel())
                return;
            // Another size: the compute stream may use the memory again, but not before what is still on its way here has come.
            feed._cuda.Driver.Wait(CudaDriver.ComputeStream, arrived);
            place?.Dispose();
            place = empty(source.numel(), dtype: source.dtype, device: device).DetachFromDisposeScope();
            // The memory may be what the compute stream has not finished with, though nobody holds it any more.
            feed._cuda.Driver.Record(feed._computed, CudaDriver.ComputeStream);
            feed._cuda.Driver.Wait(feed._stream, feed._computed);
        }

        private void Send(Tensor source, Tensor place)
        {
            if (source.numel() > 0)
                feed._cuda.Driver.CopyToDevice(
                    TensorMemory.AddressOf(source), TensorMemory.AddressOf(place), source.numel() * source.element_size(), feed._stream);
        }
    }
}
