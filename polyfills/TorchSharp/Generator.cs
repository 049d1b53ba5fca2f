using static TorchSharp.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>A source of random numbers with its own state.</summary>
    public class Generator : IDisposable
    {
        public Generator(ulong seed = 0, Device? device = null) : this(New(seed, device ?? CPU), device ?? CPU) { }

        private Generator(IntPtr handle, Device device) => (Handle, this.device) = (handle, device);

        ~Generator() => Dispose(false);

        public IntPtr Handle { get; private set; }
        public Device device { get; private set; }

        /// <summary>The CPU's default generator; the returned object shares its state.</summary>
        public static Generator Default => new(Checked(THSGenerator_default_generator()), CPU);

        public Tensor get_state() => new(Checked(THSGenerator_get_rng_state(Handle)));

        public void set_state(Tensor value)
        {
            THSGenerator_set_rng_state(Handle, value.Handle);
            CheckForErrors();
            GC.KeepAlive(value);
        }

        public Generator manual_seed(long seed)
        {
            THSGenerator_gen_manual_seed(Handle, seed);
            CheckForErrors();
            return this;
        }

        public long initial_seed() => THSGenerator_initial_seed(Handle);

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            if (Handle == IntPtr.Zero) return;
            THSGenerator_dispose(Handle);
            Handle = IntPtr.Zero;
        }

        private static IntPtr New(ulong seed, Device device) => Checked(THSGenerator_new(seed, (int)device.type, device.index));

        private static IntPtr Checked(IntPtr handle)
        {
            if (handle == IntPtr.Zero) CheckForErrors();
            return handle;
        }
    }

    /// <summary>The default generators.</summary>
    public static partial class random
    {
        /// <summary>Seeds the default generator of every device.</summary>
        public static Generator manual_seed(long seed)
        {
            THSTorch_manual_seed(seed);
            CheckForErrors();
            return Generator.Default;
        }

        public static long initial_seed()
        {
            using var generator = Generator.Default;
            return generator.initial_seed();
        }

        public static Tensor get_rng_state()
        {
            using var generator = Generator.Default;
            return generator.get_state();
        }

        public static void set_rng_state(Tensor new_state)
        {
            using var generator = Generator.Default;
            generator.set_state(new_state);
        }
    }

    public static Generator manual_seed(long seed) => random.manual_seed(seed);
}
