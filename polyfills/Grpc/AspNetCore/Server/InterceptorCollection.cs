using System.Collections.ObjectModel;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Server;

/// <summary>Server interceptors in the order in which a call meets them.</summary>
public class InterceptorCollection : Collection<InterceptorRegistration>
{
    /// <summary>Adds an interceptor, taken from the container when registered there, else made for each call.</summary>
    /// <param name="args">Constructor arguments that the container does not have. With any, the interceptor is always made for each call.</param>
    public void Add<TInterceptor>(params object[] args)
        where TInterceptor : Interceptor => Add(typeof(TInterceptor), args);

    /// <inheritdoc cref="Add{TInterceptor}(object[])"/>
    public void Add(Type interceptorType, params object[] args)
    {
        ArgumentNullException.ThrowIfNull(interceptorType);
        ArgumentNullException.ThrowIfNull(args);
        if (!interceptorType.IsSubclassOf(typeof(Interceptor)))
            throw new ArgumentException($"Type must inherit from {typeof(Interceptor).FullName}.", nameof(interceptorType));
        Add(new InterceptorRegistration(interceptorType, args));
    }
}

public class InterceptorRegistration
{
    private readonly object[] arguments;

    internal InterceptorRegistration(Type type, object[] arguments)
    {
        Type = type;
        this.arguments = arguments;
    }

    public Type Type { get; }

    public IReadOnlyList<object> Arguments => arguments;

    /// <summary>Runs one call through an instance, which is disposed afterwards if it was made for this call.</summary>
    internal async Task<T> RunAsync<T>(ServerCallContext context, Func<Interceptor, Task<T>> call)
    {
        var services = context.GetHttpContext().RequestServices;
        if (arguments.Length == 0 && services.GetService(Type) is Interceptor registered)
            return await call(registered);
        var created = (Interceptor)ActivatorUtilities.CreateInstance(services, Type, arguments);
        try
        {
            return await call(created);
        }
        finally
        {
            await Disposal.DisposeAsync(created);
        }
    }
}

internal static class Disposal
{
    public static ValueTask DisposeAsync(object instance)
    {
        if (instance is IAsyncDisposable asynchronous)
            return asynchronous.DisposeAsync();
        (instance as IDisposable)?.Dispose();
        return ValueTask.CompletedTask;
    }
}
