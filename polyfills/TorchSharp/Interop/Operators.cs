using System.Collections.Concurrent;
using System.Text;
using static TorchSharp.Interop.NativeMethods;
using static TorchSharp.torch;

namespace TorchSharp.Interop;

/// <summary>
/// Calls operators of libtorch's dispatcher by the names of PyTorch's <c>native_functions.yaml</c>, <c>aten::</c> left out:
/// <c>Call("add.Tensor", a, b)</c>. Arguments not given take the schema's defaults.
/// </summary>
internal static unsafe class Operators
{
    private const int StackWords = 256;

    private static readonly ConcurrentDictionary<string, IntPtr> Handles = new();

    /// <summary>The operator's single result.</summary>
    public static Tensor Call(string op, params ReadOnlySpan<Argument> arguments)
    {
        IntPtr result;
        Invoke(op, arguments, &result, 1);
        return new Tensor(result);
    }

    public static (Tensor, Tensor) CallPair(string op, params ReadOnlySpan<Argument> arguments)
    {
        var results = stackalloc IntPtr[2];
        Invoke(op, arguments, results, 2);
        return (new Tensor(results[0]), new Tensor(results[1]));
    }

    /// <summary>All results of an operator that gives at most <paramref name="capacity"/> of them.</summary>
    public static Tensor[] CallMany(string op, long capacity, params ReadOnlySpan<Argument> arguments)
    {
        var results = new IntPtr[Math.Max(capacity, 1)];
        long count;
        fixed (IntPtr* first = results)
            count = Invoke(op, arguments, first, results.Length);
        return Array.ConvertAll(results[..(int)count], handle => new Tensor(handle));
    }

    public static bool CallBool(string op, params ReadOnlySpan<Argument> arguments)
    {
        IntPtr result;
        Invoke(op, arguments, &result, 1);
        return result != IntPtr.Zero;
    }

    /// <summary>Runs an operator for its effect on one of its arguments.</summary>
    public static void Run(string op, params ReadOnlySpan<Argument> arguments) => Invoke(op, arguments, null, 0);

    private static IntPtr Find(string op) => Handles.GetOrAdd(op, static name =>
    {
        var dot = name.IndexOf('.', StringComparison.Ordinal);
        var handle = dot < 0 ? THSOperator_find("aten::" + name, "") : THSOperator_find("aten::" + name[..dot], name[(dot + 1)..]);
        if (handle == IntPtr.Zero) CheckForErrors();
        return handle;
    });

    private static long Invoke(string op, ReadOnlySpan<Argument> arguments, IntPtr* results, long capacity)
    {
        var handle = Find(op);
        var words = 0;
        foreach (ref readonly var argument in arguments) words += argument.ListWords;
        Span<long> lists = words <= StackWords ? stackalloc long[words] : new long[words];
        Span<NativeArgument> natives = stackalloc NativeArgument[arguments.Length];

        long count;
        fixed (long* list = lists)
        fixed (NativeArgument* native = natives)
        {
            Marshal(arguments, native, list);
            count = THSOperator_call(handle, native, arguments.Length, results, capacity);
        }
        foreach (ref readonly var argument in arguments) GC.KeepAlive(argument.Reference);
        if (count < 0) CheckForErrors();
        return count;
    }

    private static void Marshal(ReadOnlySpan<Argument> arguments, NativeArgument* native, long* list)
    {
        foreach (ref readonly var argument in arguments)
        {
            var (value, length) = (argument.Value, 0L);
            switch (argument.Reference)
            {
                case long[] values:
                    values.CopyTo(new Span<long>(list, values.Length));
                    (value, length) = ((long)list, values.Length);
                    break;
                case Tensor?[] tensors:
                    for (var i = 0; i < tensors.Length; i++) list[i] = tensors[i]?.Handle ?? 0;
                    (value, length) = ((long)list, tensors.Length);
                    break;
                case string text:
                    (value, length) = ((long)list, Encoding.UTF8.GetBytes(text, new Span<byte>(list, argument.ListWords * 8)));
                    break;
                case Device device:
                    (value, length) = ((long)device.type, device.index);
                    break;
            }
            *native++ = new NativeArgument { Kind = argument.Kind, Value = value, Length = length };
            list += argument.ListWords;
        }
    }
}
