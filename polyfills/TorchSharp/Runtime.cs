using System.Runtime.InteropServices;
using static TorchSharp.Interop.NativeMethods;

namespace TorchSharp;

/// <summary>The functions of libtorch, under PyTorch's names.</summary>
public static partial class torch
{
    /// <summary>The version of libtorch that the native part was compiled against, such as <c>1.13.1</c>.</summary>
    public static string __version__ => Marshal.PtrToStringUTF8(THSTorch_version())!;

    public static DisposeScope NewDisposeScope() => DisposeScopeManager.ThreadSingleton.NewDisposeScope();

    /// <summary>How many threads one operator may use. OpenBLAS has its own count (OPENBLAS_NUM_THREADS).</summary>
    public static int get_num_threads() => THSTorch_get_num_threads();

    public static void set_num_threads(int num)
    {
        THSTorch_set_num_threads(num);
        CheckForErrors();
    }

    public static int get_num_interop_threads() => THSTorch_get_num_interop_threads();

    /// <summary>How many operators may run at once.</summary>
    /// <exception cref="ExternalException">The pool is in use already; libtorch allows one setting, before its first use.</exception>
    public static void set_num_interop_threads(int num)
    {
        THSTorch_set_num_interop_threads(num);
        CheckForErrors();
    }

    public static partial class cuda
    {
        public static bool is_available() => THSTorchCuda_is_available() != 0;

        public static int device_count() => THSTorchCuda_device_count();
    }

    public static partial class backends
    {
        public static partial class cuda
        {
            public static partial class matmul
            {
                /// <summary>Whether matrix products of float32 may be computed in TF32 on GPUs that have it: factors are rounded to 10 bits of mantissa, sums are float32.</summary>
                public static bool allow_tf32
                {
                    get => Checked(THSBackend_cublas_get_allow_tf32()) != 0;
                    set
                    {
                        THSBackend_cublas_set_allow_tf32(value ? 1 : 0);
                        CheckForErrors();
                    }
                }
            }
        }

        public static partial class cudnn
        {
            /// <summary>The same of convolutions.</summary>
            public static bool allow_tf32
            {
                get => Checked(THSBackend_cudnn_get_allow_tf32()) != 0;
                set
                {
                    THSBackend_cudnn_set_allow_tf32(value ? 1 : 0);
                    CheckForErrors();
                }
            }
        }

        private static int Checked(int answer)
        {
            CheckForErrors();
            return answer;
        }
    }
}
