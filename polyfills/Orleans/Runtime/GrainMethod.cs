using System.Collections.Concurrent;
using System.Linq.Expressions;
using System.Reflection;
using Orleans.Concurrency;

namespace Orleans.Runtime;

/// <summary>A method of a grain interface: how to call it and what its attributes say.</summary>
internal abstract class GrainMethod
{
    private static readonly ConcurrentDictionary<MethodInfo, GrainMethod> Known = new();

    private readonly Func<object, object?[], Task?> _invoke;

    protected GrainMethod(MethodInfo method)
    {
        Method = method;
        Name = $"{method.DeclaringType!.Name}/{method.Name}";
        ReadOnly = method.IsDefined(typeof(ReadOnlyAttribute));
        AlwaysInterleave = method.IsDefined(typeof(AlwaysInterleaveAttribute));
        OneWay = method.IsDefined(typeof(OneWayAttribute));
        ResponseTimeout = method.GetCustomAttribute<ResponseTimeoutAttribute>()?.Timeout;
        Parameters = [.. method.GetParameters().Select(parameter => parameter.Name ?? "")];
        CancellationTokenIndex = Array.FindIndex(method.GetParameters(), parameter => parameter.ParameterType == typeof(CancellationToken));
        _invoke = Compile(method);
    }

    public MethodInfo Method { get; }

    /// <summary>As it appears in traces and messages: <c>IJobGrain/SubmitAsync</c>.</summary>
    public string Name { get; }

    public string[] Parameters { get; }

    public int CancellationTokenIndex { get; }

    public bool ReadOnly { get; }

    public bool AlwaysInterleave { get; }

    public bool OneWay { get; }

    public TimeSpan? ResponseTimeout { get; }

    public static GrainMethod For(MethodInfo method) => Known.GetOrAdd(method, Create);

    /// <summary>Sends a request, and returns what the interface's method is declared to return.</summary>
    public abstract object Call(Silo silo, GrainTarget target, object?[] arguments);

    public Task Invoke(object grain, object?[] arguments) =>
        _invoke(grain, arguments) ?? throw new InvalidOperationException($"{Name} of {grain.GetType()} returned null in place of a task.");

    private static GrainMethod Create(MethodInfo method)
    {
        var returned = method.ReturnType;
        var definition = returned.IsGenericType ? returned.GetGenericTypeDefinition() : returned;
        var byReference = Array.Exists(method.GetParameters(), parameter => parameter.ParameterType.IsByRef);
        if (byReference || (definition != typeof(Task) && definition != typeof(Task<>) && definition != typeof(ValueTask) && definition != typeof(ValueTask<>)))
        {
            throw new NotSupportedException(
                $"{method.DeclaringType}.{method.Name} cannot be a grain method: it must return Task, Task<T>, ValueTask or ValueTask<T> and take no ref parameters.");
        }

        var result = returned.IsGenericType ? returned.GetGenericArguments()[0] : typeof(NoResult);
        return (GrainMethod)Activator.CreateInstance(typeof(GrainMethod<>).MakeGenericType(result), method)!;
    }

    private static Func<object, object?[], Task?> Compile(MethodInfo method)
    {
        var grain = Expression.Parameter(typeof(object));
        var arguments = Expression.Parameter(typeof(object?[]));
        Expression call = Expression.Call(
            Expression.Convert(grain, method.DeclaringType!),
            method,
            method.GetParameters().Select((parameter, i) =>
                Expression.Convert(Expression.ArrayIndex(arguments, Expression.Constant(i)), parameter.ParameterType)));
        if (method.ReturnType.IsValueType)
            call = Expression.Call(call, method.ReturnType.GetMethod(nameof(ValueTask.AsTask))!);
        return Expression.Lambda<Func<object, object?[], Task?>>(Expression.Convert(call, typeof(Task)), grain, arguments).Compile();
    }
}

/// <summary>The result of a method that returns a plain task.</summary>
internal readonly record struct NoResult;

/// <inheritdoc cref="GrainMethod"/>
internal sealed class GrainMethod<TResult>(MethodInfo method) : GrainMethod(method)
{
    public override object Call(Silo silo, GrainTarget target, object?[] arguments)
    {
        var task = silo.Tracing
            ? CallTracing.CallAsync(this, silo, target, arguments)
            : GrainRequest<TResult>.Send(silo, target, this, arguments);
        if (Method.ReturnType == typeof(ValueTask))
            return new ValueTask(task);
        return Method.ReturnType.IsValueType ? new ValueTask<TResult>(task) : task;
    }

    public static TResult Result(Task completed) => completed is Task<TResult> task ? task.Result : default!;
}
